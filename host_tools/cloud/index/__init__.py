"""The index of things, which is searched by what is known of them."""
