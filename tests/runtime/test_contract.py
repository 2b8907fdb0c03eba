"""Every name of the contract is there with a docstring and the signature that is promised; each guarantee has its tests.

What is said here of a signature: the names of the parameters, in order, and their defaults. `/` and `*` as in Python;
`self` is left out.
"""

import ast
import inspect
import re
from functools import cache
from pathlib import Path
from types import GetSetDescriptorType
from typing import Any

import pytest

import coloop
from coloop import study, testing

SIGNATURES = {
    "run": "main, *args, clock=None, seed=None, max_coroutines=None, memory_limit=None, observer=None",
    "go": "fn, *args, name=None, memory_limit=None, **kwargs",
    "current": "",
    "sleep": "seconds",
    "yield_now": "",
    "suspend": "",
    "defer": "fn, *args, **kwargs",
    "timeout": "seconds",
    "after": "seconds, fn, *args, name=None",
    "every": "seconds, fn, *args, name=None",
    "TimedCall.cancel": "",
    "Coroutine.resume": "value=None",
    "Coroutine.join": "timeout=None",
    "Coroutine.result": "timeout=None",
    "Coroutine.cancel": "",
    "Coroutine.throw": "error",
    "Coroutine.stack": "",
    "Group": "",
    "Group.go": "fn, *args, name=None, memory_limit=None, **kwargs",
    "Group.cancel": "",
    "Channel": "capacity=0",
    "Channel.send": "value, timeout=None",
    "Channel.receive": "timeout=None",
    "Channel.close": "",
    "Channel.sending": "value",
    "Channel.receiving": "",
    "select": "*operations, timeout=None, default=...",
    "Event": "",
    "Event.is_set": "",
    "Event.set": "",
    "Event.clear": "",
    "Event.wait": "timeout=None",
    "Lock": "",
    "Lock.acquire": "timeout=None",
    "Lock.release": "",
    "Lock.locked": "",
    "RLock": "",
    "RLock.acquire": "timeout=None",
    "RLock.release": "",
    "Semaphore": "value=1, *, max_value=None",
    "Semaphore.acquire": "timeout=None",
    "Semaphore.release": "n=1",
    "Condition": "lock=None",
    "Condition.acquire": "timeout=None",
    "Condition.release": "",
    "Condition.wait": "timeout=None",
    "Condition.wait_for": "predicate, timeout=None",
    "Condition.notify": "n=1",
    "Condition.notify_all": "",
    "WaitGroup": "",
    "WaitGroup.add": "n=1",
    "WaitGroup.done": "",
    "WaitGroup.wait": "timeout=None",
    "Barrier": "parties",
    "Barrier.wait": "timeout=None",
    "Barrier.abort": "",
    "Barrier.reset": "",
    "Queue": "maxsize=0",
    "Queue.put": "item, block=True, timeout=None",
    "Queue.put_nowait": "item",
    "Queue.get": "block=True, timeout=None",
    "Queue.get_nowait": "",
    "Queue.qsize": "",
    "Queue.empty": "",
    "Queue.full": "",
    "Queue.task_done": "",
    "Queue.join": "timeout=None",
    "Queue.close": "",
    "connect": "address, *, timeout=None, local=None, tls=None, server_hostname=None",
    "bind": "address, *, reuse_port=False",
    "listen": "address, *, backlog=1024, reuse_port=False, tls=None",
    "serve": "listener_or_address, handler=None, *, name=None, max_connections=None, tls=None, on_start=None, "
    "on_worker_start=None, on_connect=None, on_receive=None, on_close=None, on_worker_stop=None, on_shutdown=None, "
    "on_message=None, framing=None, high_water=262144, low_water=65536, overflow='suspend', idle=None, "
    "heartbeat=None, heartbeat_message=b'', worker=0",
    "serving": "",
    "Raw": "limit=65536",
    "Lines": "limit=65536",
    "Delimited": "delimiter, limit=65536",
    "LengthPrefixed": "bytes=4, order='big', limit=65536",
    "framing_of": "text, limit=65536",
    "Framing.encode": "message",
    "Framing.decoder": "",
    "Connection.send": "message",
    "Connection.close": "",
    "Connection.reset": "",
    "Connection.pause": "",
    "Connection.resume": "",
    "adopt": "raw",
    "Listener.accept": "timeout=None",
    "Listener.close": "",
    "Listener.info": "",
    "Server.stop": "drain=0.0",
    "Server.statistics": "",
    "Server.on": "event, call",
    "Server.set": "key, value",
    "Server.client": "id",
    "Server.broadcast": "message, among=None",
    "Server.pause": "",
    "Server.resume": "",
    "Server.count_request": "",
    "Server.send_message": "to, data",
    "Server.deliver": "sender, data",
    "Socket.recv": "n=65536, timeout=None",
    "Socket.recv_into": "buffer, n=None, timeout=None",
    "Socket.recv_exactly": "n, timeout=None",
    "Socket.recv_until": "delimiter, limit=65536, timeout=None",
    "Socket.recvfrom": "n=65536, timeout=None",
    "Socket.peek": "n=65536, timeout=None",
    "Socket.send": "data, timeout=None",
    "Socket.sendall": "data, timeout=None",
    "Socket.sendto": "data, address, timeout=None",
    "Socket.sendfile": "file, offset=0, count=None, timeout=None",
    "Socket.shutdown": "how='write'",
    "Socket.close": "linger=None",
    "Socket.info": "",
    "to_thread": "fn, *args",
    "call_soon_threadsafe": "fn, *args",
    "memory.set_level": "level, *, exact=False",
    "memory.level": "",
    "memory.usage": "*, real=False",
    "memory.process": "",
    "memory.total": "",
    "memory.residues": "",
    "memory.held": "",
    "memory.bookkeeping": "",
    "memory.own_thread": "*, own=True",
    "memory.sites": "coroutine=None, top=50",
    "memory.stacks": "coroutine=None",
    "memory.types": "coroutine",
    "memory.note_all_sites": "coroutine, *, all_blocks=True",
    "snapshot": "limit=None, *, stuck=False",
    "Scheduler.snapshot": "limit=None, *, dead=True, stuck=False, sockets=None",
    "Scheduler.call_soon_threadsafe": "fn, *args",
    "Scheduler.kill": "coroutine, grace_s=1.0",
    "Inbox.put": "item",
    "Inbox.get": "",
    "wait_child": "child, timeout=None",
    "wait_signal": "*wanted, timeout=None",
    "signals": "*wanted",
    "testing.MockClock": "*, autojump=True",
    "testing.MockClock.advance": "seconds",
    "testing.wait_until_idle": "timeout=None",
    "testing.socket_pair": "",
    "testing.Sequencer": "",
    "study.Sgo": "fn, *args",
    "study.Sco.getCid": "",
    "study.Sco.yield_": "",
    "study.Sco.resume": "cid",
    "study.Sco.sleep": "seconds",
    "study.Sco.scheduler": "",
    "study.Server": "host, port",
    "study.Server.accept": "",
    "study.Server.recv": "fd, length=65536",
    "study.Server.send": "fd, data",
    "study.Server.close": "fd",
}

PROPERTIES = {
    "Coroutine": "state ended spawned_at waiting_on age_s account outcome",
    "Group": "children",
    "Channel": "closed",
    "Lock": "holder",
    "Semaphore": "value",
    "WaitGroup": "pending",
    "Barrier": "n_waiting broken",
    "Queue": "unfinished_tasks closed",
    "Listener": "address closed",
    "Server": "address connections clients state draining",
    "Connection": "peer age_s closed queued received sent paused",
    "Socket": "kind local closed state peer_gone tls age_s",
    "TimedCall": "active coroutine",
    "timeout": "expired",
}

# What is a plain field stands in the docstring of its class, under Attributes.
FIELDS = {
    "Coroutine": "id name parent_id busy_s switches context",
    "Account": "heap_bytes heap_blocks heap_peak allocated_total stack_bytes frames sockets timers defers limit",
    "Socket": "peer received sent",
    "Server": "name handler max_connections callbacks settings worker postman requests messages",
    "Connection": "id server framing data closed_by",
    "ClosedBy": "who at_s where why",
    "Broadcast": "sent skipped",
    "Callbacks": "on_start on_worker_start on_connect on_receive on_close on_worker_stop on_shutdown on_message",
    "Settings": "framing high_water low_water overflow idle heartbeat heartbeat_message",
    "ServerStatistics": "name address state connections max_connections accepted rejected failed last_trouble draining "
    "peak_connections requests messages bytes_in bytes_out queued_bytes closed_by_peer closed_by_server closed_idle "
    "closed_by_error resets",
    "Selected": "index channel value closed",
    "Snapshot": "coroutines dead sockets channels timers live heap_bytes",
    "SocketPicture": "kernel unread unsent reader writer",
    "ChannelPicture": "capacity buffered senders receivers",
    "Deadlock": "coroutines",
}

ERRORS = [
    "AlreadyRunning",
    "BrokenBarrier",
    "Busy",
    "Cancelled",
    "Closed",
    "CoroutineError",
    "Deadlock",
    "Killed",
    "LockMisused",
    "MemoryLimitExceeded",
    "MessageTooLong",
    "NotRunning",
    "NotSuspended",
    "OutputFull",
    "QueueEmpty",
    "QueueFull",
    "Timeout",
    "TooManyCoroutines",
    "Truncated",
    "WasCancelled",
    "WrongProcess",
    "WrongThread",
]

GUARANTEES = {
    "a parked coroutine wakes exactly once per cause": """
        test_switching.test_a_wait_ends_once_and_who_comes_second_is_told
        test_properties.test_every_cause_ends_exactly_one_wait""",
    "the ready run first come first served, or as the seed says": """
        test_switching.test_the_ready_run_first_come_first_served
        test_switching.test_a_seed_gives_another_order_and_always_the_same_one""",
    "data that is there beats a deadline that has just passed": """
        test_switching.test_data_that_is_there_beats_a_deadline_that_has_just_passed
        test_socket.test_data_that_is_there_beats_a_deadline_that_has_passed
        test_datagram.test_data_that_is_there_beats_a_deadline_that_has_passed""",
    "an exception ends its own coroutine only, and is reported once": """
        test_switching.test_an_exception_ends_its_own_coroutine_and_is_told_once
        test_switching.test_who_joins_at_once_hears_of_it_and_nobody_else
        test_switching.test_a_failing_callback_is_told_and_the_loop_goes_on""",
    "exception state leaks to nobody": """
        test_switching.test_exception_state_stays_with_its_coroutine
        test_switching.test_an_error_in_a_coroutine_knows_nothing_of_what_its_spawner_handles
        test_switching.test_a_greenlet_that_is_used_again_has_forgotten_the_exception_of_its_last_job""",
    "context leaks to nobody": """
        test_switching.test_context_is_inherited_and_flows_back_to_nobody
        test_contexts.test_what_is_set_and_reset_stays_with_each_across_switches
        test_contexts.test_the_next_user_of_a_worker_finds_nothing_of_the_one_before""",
    "a cancel is raised at the wait, or at the next one; finally and defer run": """
        test_scheduler.test_every_wait_can_be_ended_and_its_finally_runs
        test_scheduler.test_one_that_is_not_waiting_is_cancelled_at_its_next_wait
        test_run.test_deferred_calls_run_after_an_error_and_after_a_cancel""",
    "a deadlock is told with who waits for what, and where": """
        test_run.test_a_deadlock_tells_who_waits_for_what_and_where
        test_run.test_a_timer_a_thread_and_an_inbox_are_hope
        test_inbox.test_a_prompt_is_hope_and_a_standstill_is_told_once""",
    "one reader and one writer at a time": """
        test_endpoint.test_a_second_reader_is_refused_by_name_and_the_first_is_undisturbed
        test_endpoint.test_a_second_writer_is_refused_but_a_reader_is_not
        test_endpoint.test_a_second_acceptor_is_refused""",
    "closing wakes those who wait": """
        test_endpoint.test_closing_wakes_those_who_wait_and_says_who_did_it
        test_channel.test_closing_wakes_all_who_wait_to_receive
        test_channel.test_closing_wakes_all_who_wait_to_send_and_their_values_are_not_received""",
    "a stale handle reaches no stranger": """
        test_endpoint.test_handles_are_serial_numbers
        test_endpoint.test_a_reused_number_brings_no_stranger_s_data
        test_study.test_a_number_that_is_out_of_date_reaches_nobody""",
    "a closed descriptor leaves the poller": """
        test_poller.test_a_copy_that_is_open_elsewhere_speaks_to_nobody
        test_poller.test_one_closed_before_it_was_forgotten_is_forgotten_all_the_same""",
    "a handler's coroutine closes its connection": """
        test_server.test_a_connection_is_closed_when_its_handler_returns
        test_server.test_a_failing_handler_is_reported_and_its_connection_closed""",
    "a lingering close does not stop the loop": """
        test_socket.test_close_with_time_waits_for_a_late_reader_and_stops_nobody_else
        test_socket.test_close_with_time_is_true_when_all_was_acknowledged
        test_socket.test_close_with_no_time_resets_the_connection
        test_socket.test_close_lets_the_kernel_send_the_rest""",
    "without descriptors accept backs off and recovers": """
        test_server.test_without_descriptors_a_server_waits_serves_on_and_recovers
        test_server.test_pauses_grow_to_a_second_and_are_told_every_five
        test_listener.test_when_resources_run_out_the_connection_still_waits""",
    "above max_coroutines go refuses": """
        test_run.test_max_coroutines_counts_the_living
        test_server.test_too_many_coroutines_turn_a_client_away""",
    "a bind that fails leaks no descriptor": """
        test_listener.test_a_port_that_cannot_be_listened_on_leaves_nothing
        test_connect.test_a_datagram_socket_that_cannot_be_had_leaves_nothing""",
    "connect, then messages, then close, exactly once, whoever closes": """
        test_conversation.test_connect_then_messages_then_close_when_the_peer_leaves
        test_conversation.test_a_close_by_us_delivers_no_more_messages_and_loses_nothing_that_was_sent
        test_conversation.test_a_reset_by_us_drops_what_is_queued_and_the_peer_gets_no_end
        test_conversation.test_a_reset_by_the_peer_disturbs_nobody
        test_conversation.test_close_is_said_once_also_to_one_who_is_cancelled""",
    "a server stops, with or without a drain": """
        test_server.test_stop_gives_open_connections_time
        test_server.test_stop_cancels_those_who_are_left_and_their_finally_runs
        test_server.test_a_handler_that_will_not_go_loses_its_connection""",
    "a block's limit leaves no timer and nests": """
        test_timeouts.test_a_block_that_ends_in_time_leaves_no_timer
        test_timeouts.test_blocks_nest_and_each_raises_its_own""",
    "newcomers never overtake": """
        test_channel.test_a_newcomer_that_sends_does_not_overtake_one_that_waits_to
        test_channel.test_a_newcomer_that_receives_does_not_overtake_one_that_was_woken
        test_lock.test_a_newcomer_does_not_overtake_one_that_was_handed_the_lock_and_has_not_run
        test_semaphore.test_a_newcomer_does_not_overtake_one_that_was_given_a_permit_and_has_not_run
        test_queue.test_a_newcomer_that_gets_does_not_overtake_one_that_was_woken
        test_select.test_a_newcomer_does_not_overtake""",
    "nothing is held after death": """
        test_switching.test_the_dead_hold_nothing_while_others_are_parked
        test_switching.test_a_cancelled_one_holds_nothing_though_its_handle_is_kept
        test_switching.test_a_wait_that_is_over_holds_nothing
        test_switching.test_very_many_coroutines_leave_less_than_a_mebibyte""",
    "none is collected while it is parked": """
        test_switching.test_none_is_collected_while_it_is_parked_even_if_nobody_knows_it""",
    "one that nothing can wake any more is named": """
        test_stuck.test_whoever_waits_for_what_nobody_has_is_stuck
        test_stuck.test_two_who_wait_for_each_other_are_stuck""",
    "those who are left at the end are cancelled first": """
        test_scheduler.test_those_left_are_cancelled_and_clean_up_even_if_that_takes_time
        test_run.test_those_in_a_deadlock_are_cancelled_before_it_is_raised
        test_endpoint.test_what_is_left_open_is_closed_at_the_scheduler_s_end""",
    "ids count from 1 and are never used again": """
        test_coroutine.test_ids_count_from_one_and_parents_are_known
        test_run.test_run_can_be_called_again_and_ids_begin_anew""",
    "only a suspended one can be resumed, and the error says what it does instead": """
        test_coroutine.test_only_a_suspended_one_can_be_resumed_and_the_error_says_what_it_does_instead
        test_coroutine.test_resuming_one_in_io_says_on_which_descriptor""",
    "results of a group": """
        test_group.test_results_can_be_asked_for_after_the_block_in_any_order
        test_group.test_after_a_failure_each_tells_how_it_has_ended
        test_group.test_a_host_that_was_cancelled_leaves_the_results_to_others""",
}


def found(path: str) -> Any:
    thing: Any = coloop
    for name in path.split("."):
        thing = getattr(thing, name)
    return thing


def told(thing: Any) -> str:
    """The names and defaults of its parameters."""
    words: list[str] = []
    after_star = False
    for parameter in inspect.signature(thing).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not after_star:
            words.append("*")
        after_star = after_star or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        star = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = parameter.default
        if default is parameter.empty:
            words.append(star + parameter.name)
        else:
            words.append(f"{parameter.name}={'...' if type(default) is object else repr(default)}")
    return ", ".join(word for word in words if word != "self")


def says_enough(doc: str | None) -> bool:
    """A sentence, not a word; and not that of a base class, which says nothing of this one."""
    return doc is not None and len(doc) >= 15 and doc != inspect.getdoc(object.__init__)


@pytest.mark.parametrize("path", SIGNATURES)
def test_a_name_is_there_with_the_signature_that_is_promised_and_a_docstring(path: str) -> None:
    thing = found(path)
    assert told(thing) == SIGNATURES[path]
    assert says_enough(inspect.getdoc(thing))


@pytest.mark.parametrize(
    "path", [f"{owner}.{name}" for owner, names in PROPERTIES.items() for name in names.split()]
)
def test_a_property_says_what_it_is(path: str) -> None:
    thing = found(path)
    assert isinstance(thing, (property, GetSetDescriptorType))
    assert says_enough(inspect.getdoc(thing))


@pytest.mark.parametrize(("owner", "names"), FIELDS.items())
def test_a_field_is_told_of_by_its_class(owner: str, names: str) -> None:
    doc = inspect.getdoc(found(owner)) or ""
    attributes = doc.partition("Attributes:")[2]
    listed = set(re.findall(r"\w+", " ".join(re.findall(r"^    ([\w, ]+):", attributes, re.MULTILINE))))
    assert set(names.split()) <= listed


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_says_what_its_catcher_should_do(name: str) -> None:
    error = found(name)
    assert issubclass(error, BaseException)
    assert says_enough(error.__doc__)


def test_every_public_name_has_a_docstring_and_every_public_method() -> None:
    silent = []
    for module in (coloop, testing, study):
        for name in (name for name in vars(module) if not name.startswith("_")):
            thing = getattr(module, name)
            if not callable(thing) or not getattr(thing, "__module__", "").startswith("coloop"):
                continue
            members = vars(thing) if inspect.isclass(thing) else {}
            asked = {name: thing} | {
                f"{name}.{member}": found
                for member, found in members.items()
                if not member.startswith("_") and (callable(found) or isinstance(found, property))
            }
            silent += [path for path, found in asked.items() if not says_enough(inspect.getdoc(found))]
    assert silent == []


def test_public_is_what_is_listed_and_no_module_is_among_it_but_two() -> None:
    modules = {name for name, thing in vars(coloop).items() if inspect.ismodule(thing) and name[0] != "_"}
    assert modules == {"study", "testing"}


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_a_guarantee_has_tests_that_try_to_break_it(guarantee: str) -> None:
    for path in GUARANTEES[guarantee].split():
        module, _, test = path.partition(".")
        assert test in named_in(module), path


@cache
def named_in(module: str) -> frozenset[str]:
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))
