"""A visit as it goes on, at the cost of one click a click.

The model's state travels with the client: the server keeps nothing, so any
replica may answer any click.
"""

from jump_tf import schema
from serving.client import sessions
from serving.client.client import Client
from serving.client.sessions import Answer
from serving.client.sessions import Recommendation
from serving.client.sessions import Session

# How a server refuses a state that another version of the model made.
_STATE_REFUSED = "`state_model` must"
_MOST_STARTS = 3  # Two versions may answer in turn while a fleet is updated.
_FEWEST_CLICKS = 2  # The page on screen, and the one whose dwell it tells.


class LiveSession:
    """One visitor's session; not to be shared by threads.

    Each method asks the server once, for one encoder step whatever came
    before, and changes nothing where that fails. Where the state is of a
    version that is gone, it starts again from the clicks.

    Args:
        client: of a model with the signatures `start` and `step`.
        most_clicks: that are kept to start again, the last ones.

    Raises:
        InputError: as `Client` does, from every method.
        ServingError: the same.
    """

    def __init__(self, client: Client, most_clicks: int = 200):
        if most_clicks < _FEWEST_CLICKS:
            raise schema.InputError(
                f"`most_clicks` must be at least {_FEWEST_CLICKS}. "
                f"Received: {most_clicks}"
            )
        self._client = client
        self._most_clicks = most_clicks
        self._session = Session(())
        outputs = self._start(self._session)
        self._before = sessions.state_of(outputs)  # Of all clicks but the last.
        self._after = self._before  # Of all clicks.
        self._answer = sessions.read_answer(outputs, 0)

    @property
    def session(self) -> Session:
        """The clicks that are kept, and what is known of their dwells."""
        return self._session

    @property
    def answer(self) -> Answer:
        """What follows the session, as the last answer says."""
        return self._answer

    def recommendations(self) -> list[Recommendation]:
        """Returns the likeliest next clicks, as the last answer says."""
        return self._answer.recommendations

    def click(
        self, item: str, dwell_seconds: float = schema.UNKNOWN_DWELL
    ) -> Answer:
        """Tells that the visitor has clicked `item` and is on its page.

        Args:
            item: its raw id.
            dwell_seconds: on the page before, if `leave` has not told it;
                negative or NaN if unknown.
        """
        if not item:
            raise schema.InputError("`item` must not be empty. Received: ''")
        known = dwell_seconds >= 0
        left = _left(self._session, dwell_seconds) if known else self._session
        kept = slice(-self._most_clicks, None)
        session = Session(
            [*left.items, item][kept],
            [*left.dwell_seconds, schema.UNKNOWN_DWELL][kept],
        )
        return self._look(self._after, session)

    def wait(self, elapsed_seconds: float) -> Answer:
        """Tells that the visitor is still on the page.

        Args:
            elapsed_seconds: since the click on it.
        """
        self._must_have_clicks("wait")
        there = _left(self._session, schema.UNKNOWN_DWELL)
        session = Session(there.items, there.dwell_seconds, elapsed_seconds)
        return self._look(self._before, session)

    def leave(self, dwell_seconds: float) -> Answer:
        """Tells that the visitor has left the page after `dwell_seconds`."""
        self._must_have_clicks("leave")
        session = _left(self._session, dwell_seconds)
        # The state after is not kept: the next click tells the dwell again.
        self._after, outputs = self._step(self._after, session, "", 0.0)
        self._session = session
        self._answer = sessions.read_answer(outputs, 0)
        return self._answer

    def _look(self, before, session):
        """Asks for the answer on the page on screen, the last click."""
        earlier = Session(session.items[:-1], session.dwell_seconds[:-1])
        self._before, outputs = self._step(
            before, earlier, session.items[-1], session.elapsed_seconds
        )
        self._after = sessions.state_of(outputs)
        self._session = session
        self._answer = sessions.read_answer(outputs, 0)
        return self._answer

    def _step(self, state, session, item, elapsed_seconds):
        """One step from a session's end.

        Args:
            state: after the session, before its last page was left.
            session: with the dwell on that page.
            item: the click that follows; "" for none.
            elapsed_seconds: on its page.

        Returns:
            The state from which it was made, and the outputs.
        """
        dwell_seconds = session.dwell_seconds
        last = dwell_seconds[-1] if dwell_seconds else schema.UNKNOWN_DWELL
        starts = 0
        while True:
            try:
                click = sessions.step_inputs(item, last, elapsed_seconds, state)
                outputs = self._client.predict(schema.STEP, click)
                return state, outputs
            except schema.InputError as error:
                refused = _STATE_REFUSED in str(error)
                if not refused or starts == _MOST_STARTS:
                    raise
            starts += 1
            on_page = Session(session.items, dwell_seconds[:-1])
            state = sessions.state_of(self._start(on_page))

    def _start(self, session):
        return self._client.predict(
            schema.START, sessions.inputs([session], sessions.RequestOptions())
        )

    def _must_have_clicks(self, name):
        if not self._session.items:
            raise schema.InputError(
                f"`{name}` must follow a click. Received: none before it"
            )


def _left(session: Session, dwell_seconds: float) -> Session:
    """Returns the session after its last page has been left."""
    known = (*session.dwell_seconds[:-1], dwell_seconds)
    return Session(session.items, known[: len(session.items)])
