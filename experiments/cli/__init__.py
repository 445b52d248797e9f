"""What the scripts do, and what a person sees at a terminal."""
