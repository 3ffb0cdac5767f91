"""What runs the services: the local stack, topics as data, the demo platform, the demo."""
