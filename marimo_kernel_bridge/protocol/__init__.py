"""The contract between the processes: messages, values and names. Sends and receives nothing."""
