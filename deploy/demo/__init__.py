"""The demo: four customers carried through the whole policy on real servers, with time moved."""
