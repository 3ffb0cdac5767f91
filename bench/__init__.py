"""The benchmarks, each beside its floor and its peers, in one run."""
