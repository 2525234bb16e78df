"""A data set searched for copies, wrong labels and outliers."""
