"""scikit-learn's own checks of VED, all of them, none expected to fail."""

import pytest
from sklearn.utils import estimator_checks as checks

from shapeshift import VED

SMALL = {"n_latent": 3, "n_starts": 1, "epochs": 20, "width": 16, "learning_rate": 5e-3}


@checks.parametrize_with_checks([VED(**SMALL)])
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "name",
    [
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_global_output_transform_pandas",
        "check_get_feature_names_out_error",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_dataframe_column_names_consistency",
    ],
)
@pytest.mark.filterwarnings("ignore:X .*feature names")
def test_names_and_output_containers(name):
    pytest.importorskip("pandas")  # without it these checks would skip in silence
    getattr(checks, name)("VED", VED(**SMALL))
