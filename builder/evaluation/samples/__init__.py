"""Which texts of a large release are measured, and the figures that are taken of all of them."""
