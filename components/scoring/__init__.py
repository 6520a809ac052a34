"""From what a model said to what is known of it: answers by image, then every number about them."""
