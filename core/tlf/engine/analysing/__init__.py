"""Parts of the analysis of a finished run, each of them numbers or pictures of its own."""
