"""A token service (OAuth 2.0, by Django OAuth Toolkit) and resources that need its tokens."""
