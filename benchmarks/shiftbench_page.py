"""stub"""


def text(record):
    return ""


def picture(record, path):
    pass
