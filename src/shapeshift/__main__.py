"""`python -m shapeshift`: the command line."""

from shapeshift.show.cli import main

if __name__ == "__main__":
    main()
