"""A small shop as a Django project: a sign-in with CSRF protection, pages with forms, a JSON API, ids of its own."""
