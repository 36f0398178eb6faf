"""The plugins that come with tlf. They use `tlf.plugin` and nothing else of it."""
