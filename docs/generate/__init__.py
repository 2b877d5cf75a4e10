"""What the program says, for the pages that show it: `make docs` has cog write it there, and `make lint` checks it."""
