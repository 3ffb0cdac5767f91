"""The archive of one customer's data: a BagIt bag with a Frictionless data package inside, in a ZIP, as a stream."""
