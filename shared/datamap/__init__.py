"""The data map: the one declaration of what in a system belongs to a customer."""
