"""The limits of this kernel: set at its start, watched while cells run, and told as what they are when one is hit."""
