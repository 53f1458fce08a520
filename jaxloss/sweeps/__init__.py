"""Many runs of one config file: which, carried out side by side, and what came out of all of them."""
