"""diffregimes: when a diffusion model decides on a class, and when it starts to copy."""
