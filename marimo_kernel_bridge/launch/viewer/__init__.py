"""The viewer of files: a process of this user that shows files as views, started when it is needed."""
