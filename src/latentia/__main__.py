"""`python -m latentia`: the command line, where its script is not on the path."""

from latentia.cli.main import main

if __name__ == "__main__":
    main()
