"""What happens on the map canvas: drawing and previews."""
