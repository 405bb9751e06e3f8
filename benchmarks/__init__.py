"""Speed of the pipeline, as ratios against its peers measured in the same run."""
