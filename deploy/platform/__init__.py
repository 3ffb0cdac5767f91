"""The demo platform: a small learning platform with several customers, for demos and tests."""
