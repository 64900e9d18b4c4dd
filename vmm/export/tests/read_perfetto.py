"""Decodes Perfetto traces with the definitions that Perfetto publishes: an object for each event, one a line.

Run by a Python that has PyPI's `perfetto`. Names are resolved as `trace_packet.proto` and `track_event.proto` tell it, and
what they forbid is an error: ids of strings that were not interned, events on tracks that nothing describes, slices that
end and never began.
"""

import json
import sys

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

CLEARED, NEEDED = 1, 2


def events(path):
    trace = Trace()
    with open(path, "rb") as file:
        trace.ParseFromString(file.read())
    tracks, interned, valid = {}, {}, False
    found = []
    for order, packet in enumerate(trace.packet):
        assert packet.trusted_packet_sequence_id == 1
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            assert track.uuid not in tracks, "a track is described twice"
            assert not track.HasField("parent_uuid") or track.parent_uuid in tracks
            tracks[track.uuid] = track
            continue
        if packet.sequence_flags & CLEARED:
            interned, valid = {}, True
        if not packet.HasField("track_event"):
            continue
        assert valid and packet.sequence_flags & NEEDED
        for kind in ("event_names", "debug_annotation_names", "source_locations", "debug_annotation_string_values"):
            for entry in getattr(packet.interned_data, kind):
                assert (kind, entry.iid) not in interned, "an id is given twice"
                interned[kind, entry.iid] = entry
        event = packet.track_event
        notes = {}
        for note in event.debug_annotations:
            name = interned["debug_annotation_names", note.name_iid].name
            if note.HasField("string_value_iid"):
                notes[name] = interned["debug_annotation_string_values", note.string_value_iid].str.decode()
            else:
                notes[name] = getattr(note, note.WhichOneof("value"))
        found.append((packet.timestamp, order, event, notes, {
            "name": interned["event_names", event.name_iid].name if event.name_iid else None,
            "code": source(interned, event),
        }))
    return tracks, sorted(found, key=lambda it: it[:2])


def source(interned, event):
    if not event.source_location_iid:
        return None
    place = interned["source_locations", event.source_location_iid]
    return [place.function_name, place.file_name, place.line_number]


def called(tracks, uuid):
    """A track and those that it is in, from the innermost outwards."""
    names = []
    while uuid:
        track = tracks[uuid]
        names.append(track.name or track.process.process_name or track.thread.thread_name)
        if track.HasField("thread"):
            owners = [it for it in tracks.values() if it.process.pid == track.thread.pid]
            names += [it.process.process_name for it in owners]
        uuid = track.parent_uuid
    return names


def main(path):
    tracks, found = events(path)
    depth = {}
    for ns, _, event, notes, texts in found:
        depth.setdefault(event.track_uuid, 0)
        depth[event.track_uuid] += {TrackEvent.TYPE_SLICE_BEGIN: 1, TrackEvent.TYPE_SLICE_END: -1}.get(event.type, 0)
        assert depth[event.track_uuid] >= 0, "a slice ends that never began"
        print(json.dumps({
            "ns": ns,
            "type": TrackEvent.Type.Name(event.type),
            "track": called(tracks, event.track_uuid),
            "notes": notes,
            "flows": list(event.flow_ids),
            **texts,
        }))


main(sys.argv[1])
