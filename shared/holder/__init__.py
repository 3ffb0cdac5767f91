"""For the systems that hold customers' data: answer a deletion command, and show that it was carried out."""
