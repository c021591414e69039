"""Evaluations in one call, of models that tests have at hand."""

from jump_tf import schema
from jump_tf.evaluate.lists import evaluation as list_evaluation
from jump_tf.evaluate.lists import predictions as list_predictions
from jump_tf.evaluate.sessions import evaluation as session_evaluation


def evaluate(*arguments, **options):
    """The content of a session model's evaluation file alone."""
    return session_evaluation.evaluate_clicks(*arguments, **options)[0]


def quick_metrics(
    model, data, split=schema.VALIDATION, moment=schema.PAGE_LEAVE
):
    """The numbers to watch while training, of any split and moment."""
    answered = session_evaluation._answers(model, data, split, moment)
    return session_evaluation._quick_means(*answered)


def evaluate_lists(*arguments, **options):
    """The content of a list model's evaluation file alone."""
    return list_evaluation.evaluate_items(*arguments, **options)[0]


def evaluate_list_batches(
    model,
    batches,
    fitted,
    *,
    num_fields,
    feedback=list_predictions.FEEDBACKS,
    replicates=500,
):
    """As `evaluate_lists`, of batches that are at hand."""
    shown, answers = list_predictions.predictor(model)(
        batches, feedback, num_fields
    )
    return list_evaluation.evaluate_answers(
        model, shown, answers, fitted, replicates
    )
