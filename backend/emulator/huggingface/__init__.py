"""Hugging Face's hub, as far as a look before a download needs it."""
