"""Views of the kernel's variables: tables on the person's screen, which follow the notebook's runs."""
