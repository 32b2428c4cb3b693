"""The Localization page: how well boxes match, study by study."""
