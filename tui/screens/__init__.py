"""The screens of the full-screen app, one module each. A screen lays out and posts messages; the app decides."""
