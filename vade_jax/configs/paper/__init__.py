"""The schedules of the authors' code, from scratch: their pretrained weights are not used."""
