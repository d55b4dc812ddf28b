"""Event classes that are not written yet: drafts of them, made of what is elsewhere, and their source."""
