"""The Localization page: how well boxes match, on one study and on the held-out cohort."""
