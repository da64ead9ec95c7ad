"""What the worker does for each request, one file each; heavy libraries are imported by the request that needs them."""
