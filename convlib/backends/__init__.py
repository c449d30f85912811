"""The ways through each operator; imported by the registry when first used."""
