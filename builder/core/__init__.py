"""Records, errors and small services that every room uses; imports no other room."""
