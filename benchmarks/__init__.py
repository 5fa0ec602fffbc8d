"""`python -m benchmarks`: this project, its peers and a hand-written floor, side by side."""
