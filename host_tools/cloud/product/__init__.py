"""The thing/product platform of document 004."""
