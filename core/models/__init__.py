"""Networks, and the bundles that carry their weights and operating points."""
