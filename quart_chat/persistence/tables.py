"""The rows as Peewee sees them: fields only. Foreign keys, indexes and triggers are made by `migrations/`.

A foreign key is a plain column here, so that touching an attribute asks no query. JSON columns hold text.
`row` counts up in the order of insertion and never leaves this package. Times are integer milliseconds.
"""

from __future__ import annotations

from peewee import AutoField, BooleanField, CompositeKey, IntegerField, Model, TextField

from quart_chat.persistence.connection import current


class Row(Model):
    class Meta:
        database = current
        legacy_table_names = False


class UserRow(Row):
    id = TextField(primary_key=True)
    name = TextField()
    created_at = IntegerField()

    class Meta:
        table_name = "user"


class SessionRow(Row):
    row = AutoField()
    id = TextField(unique=True)
    user_id = TextField()
    title = TextField()
    model = TextField()
    system_prompt = TextField()
    parameters = TextField()
    think = BooleanField(null=True)
    draft = TextField()
    created_at = IntegerField()
    updated_at = IntegerField()
    next_number = IntegerField(default=1)

    class Meta:
        table_name = "session"


class MessageRow(Row):
    row = AutoField()
    id = TextField(unique=True)
    session_id = TextField()
    number = IntegerField()
    role = TextField()
    content = TextField()
    timestamp = IntegerField()
    state = TextField()
    model = TextField()
    thinking = TextField()
    usage = TextField(null=True)
    statistics = TextField(null=True)
    problem = TextField(null=True)
    parent_id = TextField(null=True)
    client_id = TextField(null=True)
    author = TextField()

    class Meta:
        table_name = "message"


class GenerationRow(Row):
    row = AutoField()
    id = TextField(unique=True)
    session_id = TextField()
    user_id = TextField()
    person = TextField()
    message_id = TextField()
    model = TextField()
    digest = TextField(default="")
    state = TextField()
    continues = BooleanField()
    created_at = IntegerField()
    started_at = IntegerField(null=True)
    ended_at = IntegerField(null=True)
    wait_ms = IntegerField(default=0)
    load_ms = IntegerField(default=0)
    prompt_tokens = IntegerField(default=0)
    prompt_ms = IntegerField(default=0)
    first_token_ms = IntegerField(default=0)
    output_tokens = IntegerField(default=0)
    output_ms = IntegerField(default=0)
    thinking_ms = IntegerField(default=0)
    done_reason = TextField(default="")
    num_ctx = IntegerField(default=0)
    problem = TextField(null=True)

    class Meta:
        table_name = "generation"


class JobRow(Row):
    row = AutoField()
    id = TextField(unique=True)
    kind = TextField()
    model = TextField()
    user_id = TextField()
    state = TextField()
    phase = TextField()
    created_at = IntegerField()
    ended_at = IntegerField(null=True)
    completed = IntegerField()
    total = IntegerField()
    leaving = TextField()
    num_ctx = IntegerField()
    digest = TextField()
    new_digest = TextField()
    problem = TextField(null=True)

    class Meta:
        table_name = "job"


class SettingRow(Row):
    user_id = TextField()
    key = TextField()
    value = TextField()

    class Meta:
        table_name = "setting"
        primary_key = CompositeKey("user_id", "key")
