"""The generative process run backwards: samplers, clones, U-turns, and what a trajectory nears."""
