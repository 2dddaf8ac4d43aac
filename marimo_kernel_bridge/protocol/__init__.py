"""The contract between the processes: messages, values and names that cross, and nothing that moves them."""
