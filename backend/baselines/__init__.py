"""Methods that the papers compare with, and Jiang et al.'s encoder."""
