"""The wizard's pages: one module for each that is more than its fields."""
