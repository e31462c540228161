"""`python -m edge.cli`: the `trackside` command by another name."""

from edge.cli.app import main

if __name__ == "__main__":
    main()
