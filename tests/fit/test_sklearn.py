"""scikit-learn's own checks, all of them, none expected to fail."""

import pytest
from sklearn.utils import estimator_checks as checks

from shapeshift import VED, ImageVAE, ShiftVAE, ShiftVAEClassifier, ShiftVAERegressor

SMALL = VED(n_latent=3, n_starts=1, epochs=20, width=16, learning_rate=5e-3)


@checks.parametrize_with_checks(
    [
        ShiftVAE(epochs=3),
        ShiftVAE(warps=(), epochs=3),
        ImageVAE(epochs=2, warps=("rotation",)),
        ShiftVAEClassifier(epochs=2),
        ShiftVAERegressor(epochs=2),
        SMALL,
    ]
)
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
@pytest.mark.parametrize("estimator", [ShiftVAE(epochs=2), ImageVAE(epochs=2, warps=()), SMALL])
def test_names_and_output_containers(name, estimator):
    pytest.importorskip("pandas")  # without it these checks would skip in silence
    getattr(checks, name)(type(estimator).__name__, estimator)
